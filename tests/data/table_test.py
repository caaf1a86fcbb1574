"""CSV files of paths; and jaxsyn.json, which all sources of one's own data share."""

import json

import numpy as np
import pytest

from case_files import LPS, brain, segmentation
from jaxsyn.data import nifti, sources
from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import _labels
from jaxsyn.errors import DataError

SOURCE = sources.load("table")
HEADER = "case,patient,t2,t1,label"
ROWS = ("a1,anna,a/t2.nii.gz,a/t1.nii.gz,a/l.nii.gz", "b,bo,b/t2.nii,b/t1.nii,b/l.nii")


@pytest.fixture
def folder(tmp_path):
    """Cases a1 (images 1 and 2, values 1, 2, 4) and b (3 and 4, no lesion)."""
    for name, ending, seed in (("a", ".nii.gz", 1), ("b", ".nii", 3)):
        label = segmentation() if name == "a" else np.zeros_like(segmentation())
        for file, data in (("t2", brain(seed)), ("t1", brain(seed + 1)), ("l", label)):
            nifti.write(tmp_path / name / f"{file}{ending}", data, LPS)
    write(tmp_path, HEADER, *ROWS)
    return tmp_path


def write(folder, *lines, name="cases.csv", encoding="utf-8"):
    (folder / name).write_text("\n".join(lines) + "\n", encoding)


def say(folder, **choices):
    (folder / "jaxsyn.json").write_text(json.dumps(choices))


def names(folder):
    return [label.name for label in SOURCE.describe(folder)[1]]


def reason(folder, index=0):
    problem = SOURCE.find_cases(folder)[index]
    assert isinstance(problem, Problem)
    return problem.reason


def test_a_row_is_a_case(folder):
    for root in (folder, folder / "cases.csv"):
        first, second = SOURCE.find_cases(root)
        assert (first.name, first.patient) == ("a1", "anna")
        assert (second.name, second.patient) == ("b", "bo")
        modalities, labels = SOURCE.describe(root)
        assert tuple(first.images) == modalities == ("t2", "t1")
        assert first.label_tables == second.label_tables == (labels,)
    volumes = SOURCE.read_case(first)
    np.testing.assert_array_equal(volumes.images[0], brain(1))
    np.testing.assert_array_equal(volumes.images[1], brain(2))
    # Values 1, 2 and 4 are indices 1, 2, 3; the rest of 12 voxels is foreground.
    np.testing.assert_array_equal(volumes.label[2, 1:3, 1], [1, 2])
    assert volumes.label[3, 2, 2] == 3
    assert np.count_nonzero(volumes.label == 4) == 9
    assert "there is no lesion" in SOURCE.read_case(second).notes


def test_values_that_are_found_become_labels(folder):
    labels = SOURCE.describe(folder)[1]
    assert [(label.name, label.values) for label in labels] == [
        ("background", (0,)),
        ("label_1", (1,)),
        ("label_2", (2,)),
        ("label_4", (4,)),
        ("foreground", ()),
    ]
    assert labels[0].colour == (0, 0, 0) and labels[-1].colour == (120, 120, 130)
    assert len({label.colour for label in labels}) == 5


def test_how_to_name_them_is_said_once(folder, caplog):
    for _ in range(2):
        SOURCE.describe(folder)
    (record,) = caplog.records
    expected = {"background": 0, "label_1": 1, "label_2": 2, "label_4": 4}
    assert json.dumps({"labels": expected}) in record.getMessage()


def test_label_maps_are_read_again_only_if_they_change(folder, monkeypatch):
    read, paths = _labels.volumes.read, []
    monkeypatch.setattr(
        _labels.volumes, "read", lambda path: paths.append(path.name) or read(path)
    )
    for _ in range(2):
        SOURCE.find_cases(folder)
    assert paths == ["l.nii.gz", "l.nii"]
    nifti.write(folder / "b/l.nii", segmentation(enhancing=9), LPS)
    assert names(folder)[-2] == "label_9" and len(paths) == 3


def test_0_and_255_are_two_labels(folder):
    nifti.write(folder / "a/l.nii.gz", np.uint8(255) * (segmentation() > 0), LPS)
    assert names(folder) == ["background", "label_255", "foreground"]
    label = SOURCE.read_case(SOURCE.find_cases(folder)[0]).label
    assert np.count_nonzero(label == 1) == 3


def test_whole_floats_are_labels(folder):
    nifti.write(folder / "a/l.nii.gz", segmentation().astype(np.float32), LPS)
    assert names(folder)[1:4] == ["label_1", "label_2", "label_4"]


def test_an_image_is_no_label_map(folder):
    many = np.zeros(120, np.uint8)
    many[1:33] = np.arange(1, 33)
    nifti.write(folder / "a/l.nii.gz", many.reshape(6, 5, 4), LPS)
    assert len(names(folder)) == 34
    many[33] = 33
    nifti.write(folder / "a/l.nii.gz", many.reshape(6, 5, 4), LPS)
    with pytest.raises(DataError, match="33 different values: it looks like an image"):
        SOURCE.describe(folder)


@pytest.mark.parametrize("value", [-1, 40000, 0.5])
def test_values_that_are_none_of_labels_are_refused(folder, value):
    dtype = np.int16 if value == -1 else np.float32
    nifti.write(folder / "a/l.nii.gz", np.full((6, 5, 4), value, dtype), LPS)
    with pytest.raises(DataError, match=rf"l.nii.gz: label values \[{value}"):
        SOURCE.describe(folder)


def test_a_damaged_label_map_spoils_its_case_alone(folder):
    (folder / "b/l.nii").write_bytes(b"no image")
    assert names(folder)[1:4] == ["label_1", "label_2", "label_4"]
    first, second = SOURCE.find_cases(folder)
    SOURCE.read_case(first)
    with pytest.raises(DataError, match="l.nii"):
        SOURCE.read_case(second)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_spreadsheets_of_all_countries(folder, delimiter, encoding):
    lines = ["", *(line.replace(",", delimiter) for line in (HEADER, *ROWS)), "", ""]
    write(folder, *lines, delimiter * 4, encoding=encoding)
    assert [case.name for case in SOURCE.find_cases(folder)] == ["a1", "b"]


def test_quoted_names_and_capitals(folder):
    write(folder, 'Case,"T1, 3 tesla",LABEL', '"x, ""y""",a/t1.nii.gz,a/l.nii.gz')
    (case,) = SOURCE.find_cases(folder)
    assert case.name == case.patient == 'x, "y"'
    assert tuple(case.images) == ("T1, 3 tesla",) and case.label


def test_without_names_cases_are_called_after_their_first_image(folder):
    write(folder, "t1,t2", "a/t1.nii.gz,a/t2.nii.gz")
    (case,) = SOURCE.find_cases(folder, labelled=False)
    assert case.name == case.patient == "t1" and case.label is None
    assert names(folder) == ["background", "foreground"]
    assert "no segmentation" in reason(folder)


def test_label_maps_alone(folder):
    write(folder, "label", "a/l.nii.gz")
    assert SOURCE.describe(folder)[0] == ()
    (case,) = SOURCE.find_cases(folder)
    assert case.name == "l" and SOURCE.read_case(case).images == ()


def test_a_mask_of_the_brain(folder):
    nifti.write(folder / "mask.nii", np.ones((6, 5, 4), np.uint8), LPS)
    write(folder, "t1,label,mask", "a/t1.nii.gz,a/l.nii.gz,mask.nii")
    (case,) = SOURCE.find_cases(folder)
    assert tuple(case.images) == ("t1",) and case.mask.path == folder / "mask.nii"


def test_absolute_paths_and_paths_from_the_file(folder):
    write(folder / "b", "t1", f"{folder}/a/t1.nii.gz", "../a/t2.nii.gz")
    cases = SOURCE.find_cases(folder / "b", labelled=False)
    assert [case.files[0].resolve().name for case in cases] == [
        "t1.nii.gz",
        "t2.nii.gz",
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("c,,a/t2.nii.gz,a/t1.nii.gz,a/l.nii.gz", "column 'patient' is empty"),
        ("c,eve,,a/t1.nii.gz,a/l.nii.gz", "column 't2' is empty"),
        ("c,eve,a/t2.nii.gz,a/t1.nii.gz", "column 'label' is empty"),
        ("c,eve,a/t2.nii.gz,none.nii,a/l.nii.gz", "'t1': there is no file .*none.nii"),
        ("c,eve,a/t2.nii.gz,a,a/l.nii.gz", "'t1': there is no file .*/a"),
        ("c,eve,cases.csv,a/t1.nii.gz,a/l.nii.gz", "cases.csv is no file in .nii, "),
        (f"{ROWS[0]},x", "it has 6 cells, there are 5 columns"),
    ],
)
def test_a_row_that_cannot_be_used_is_a_problem(folder, row, expected):
    write(folder, HEADER, ROWS[1], row)
    assert isinstance(SOURCE.find_cases(folder)[0], Case)
    with pytest.raises(DataError, match=rf"cases.csv, line 3: .*{expected}"):
        SOURCE.read_case(SOURCE.find_cases(folder)[1])


def test_a_name_may_be_there_once(folder):
    write(folder, HEADER, ROWS[0], ROWS[1], ROWS[0], ROWS[0])
    cases = SOURCE.find_cases(folder)
    assert [case.name for case in cases] == ["a1", "b", "a1 (line 4)", "a1 (line 5)"]
    assert "line 4: a1 is in line 2 already" in reason(folder, 2)


def test_a_name_may_not_lead_elsewhere(folder):
    write(folder, HEADER, ROWS[0].replace("a1", "../a1"))
    assert "'../a1' cannot be the name of a case" in reason(folder)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("case,t1,T1,label", "the column 't1' twice"),
        (",case,t1", "column 1 has no name.\n.*index=False"),
        ("case,patient", "no column of images; its columns are case, patient"),
        ("case,../t1", "'../t1' cannot be the name of a modality"),
        ('case,"t1', "line 1: unexpected end of data"),
        ("", "is empty"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused(folder, header, expected):
    write(folder, header)
    with pytest.raises(DataError, match=f"cases.csv.*{expected}"):
        SOURCE.describe(folder)


def test_another_encoding_is_refused(folder):
    write(folder, "case,größe", encoding="latin-1")
    with pytest.raises(DataError, match="no text in UTF-8.*\n.*Save it as CSV UTF-8"):
        SOURCE.describe(folder)


def test_there_is_one_file(folder):
    write(folder, HEADER, name="more.csv")
    with pytest.raises(DataError, match="one CSV file; there: cases.csv, more.csv"):
        SOURCE.find_cases(folder)
    with pytest.raises(DataError, match="one CSV file; there: none"):
        SOURCE.find_cases(folder / "a")


def test_a_file_without_rows_has_no_case(folder):
    write(folder, HEADER)
    with pytest.raises(DataError, match="no table case"):
        SOURCE.find_cases(folder)


def test_labels_may_be_named(folder):
    labels = {"tumour": 4, "background": 0, "oedema": 2, "core": 1}
    say(folder, labels=labels)
    assert names(folder) == ["background", "core", "oedema", "tumour", "foreground"]
    assert SOURCE.read_case(SOURCE.find_cases(folder)[0]).label[3, 2, 2] == 3
    del labels["tumour"]
    say(folder, labels=labels, foreground="brain")
    assert names(folder) == ["background", "core", "oedema", "brain"]
    with pytest.raises(DataError, match=r"label values \[4\] are outside"):
        SOURCE.read_case(SOURCE.find_cases(folder)[0])


def test_there_need_be_no_foreground(folder):
    say(folder, foreground=None)
    assert names(folder) == ["background", "label_1", "label_2", "label_4"]


def test_modalities_may_be_chosen(folder):
    say(folder, modalities=["t1"])
    assert SOURCE.describe(folder)[0] == ("t1",)
    assert tuple(SOURCE.find_cases(folder)[0].images) == ("t1",)
    say(folder, modalities=["t1", "t1ce"])
    with pytest.raises(DataError, match="has 't1ce'.\n.*There are: t2, t1"):
        SOURCE.describe(folder)


def test_patients_may_be_told(folder):
    say(folder, patients={"a1": "eve"})
    assert SOURCE.find_cases(folder)[0].patient == "eve"
    assert '"patients" does not name b' in reason(folder, 1)
    say(folder, patients="cases")
    assert [case.patient for case in SOURCE.find_cases(folder)] == ["a1", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "cannot be understood: Expecting property name"),
        ("[1]", r"it holds \[1\], expected an object"),
        ("[" * 100000, "cannot be understood"),
        (" " * 2**20 + "{}", "larger than 1 MB"),
        ('{"labels": {}, "labels": {}}', "'labels' is in it twice"),
        ('{"labels": {"a": 0, "a": 1}}', "'a' is in it twice"),
        (
            '{"label": "x"}',
            "the key 'label'.\n.*are: modalities, labels, p[^,]*, f[^,]*$",
        ),
        ('{"labels": [0, 1]}', r'"labels" is \[0, 1\].\n.*must be {"background": 0'),
        ('{"labels": {"a": 0, "b": -1}}', "'b' is -1.\n.*from 0 to 32767"),
        ('{"labels": {"a": 0, "b": 32768}}', "'b' is 32768"),
        ('{"labels": {"a": 0, "b": 1.0}}', "'b' is 1.0"),
        ('{"labels": {"a": 0, "b": true}}', "'b' is True"),
        ('{"labels": {"a": 0, "b": 0}}', "'a' and 'b' are both 0"),
        ('{"labels": {"a/b": 0}}', "'a/b' cannot be the name of a label"),
        ('{"labels": {"a": 1}}', 'no label has the value 0.\n.*"background": 0'),
        ('{"labels": {"foreground": 0}}', "no room beside its 1 labels for 'foregr"),
        ('{"modalities": ["t1", "t1"]}', '"modalities" is .*\n.*each of them once'),
        ('{"modalities": []}', '"modalities" is'),
        ('{"patients": {"a": 1}}', '"patients" is'),
        ('{"patients": "case"}', '"patients" is .case..\n.*or "cases"'),
        ('{"foreground": ""}', '"foreground" is'),
    ],
)
def test_a_jaxsyn_json_that_cannot_be_used_is_refused(folder, text, expected):
    (folder / "jaxsyn.json").write_text(text)
    with pytest.raises(DataError, match=f"jaxsyn.json.*{expected}"):
        SOURCE.describe(folder)


@pytest.mark.parametrize(
    "name", ["", " a", "a ", ".a", "a/b", "a\\b", "a\nb", "a" * 101, 1, None]
)
def test_what_cannot_be_a_name(name):
    assert not _labels.is_name(name)
    assert _labels.is_name("Größe 1, (left).v2_a-b") and _labels.is_name("a" * 100)


def test_labels_are_at_most_what_8_bits_count():
    values = {str(value): value for value in range(256)}
    assert len(_labels.declared(values, "here", None)) == 256
    with pytest.raises(DataError, match="no room beside its 256 labels"):
        _labels.declared(values, "here", "foreground")


def test_colours_differ():
    table = _labels.declared({str(v): v for v in range(33)}, "here", "foreground")
    assert len({label.colour for label in table}) == 34


def test_high_values_as_those_of_freesurfer_are_labels(folder):
    label = np.where(segmentation() > 0, 2035, 0).astype(np.int16)
    nifti.write(folder / "a/l.nii.gz", label, LPS)
    assert "label_2035" in names(folder)
    case = SOURCE.find_cases(folder)[0]
    assert (SOURCE.read_case(case).label[segmentation() > 0] > 0).all()


def test_a_label_with_the_value_of_a_tissue_is_refused(folder):
    nifti.write(folder / "tissues.nii.gz", np.uint8(1) * (segmentation() > 0), LPS)
    (folder / "cases.csv").write_text(
        "case,t1,label,tissues\na,a/t1.nii.gz,a/l.nii.gz,tissues.nii.gz\n"
    )
    (folder / "jaxsyn.json").write_text('{"labels": {"nothing": 0, "core": 12}}')
    with pytest.raises(DataError, match="core is 12; beside tissues 11, 12, 13 mean"):
        SOURCE.describe(folder)
