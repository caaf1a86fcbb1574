"""Where the time goes: by hand, and of a small training."""

from benchmarks import profile, run
from jaxsyn.data.phantom.write import write_phantom

HLO = """
HloModule jit_advance

%fused.1 (p: f32[8]) -> f32[8] {
  %p = f32[8]{0} parameter(0)
  ROOT %convolution.3 = f32[8]{0} convolution(%p, %p), window={size=3}
}

%joined (p.1: f32[8]) -> f32[8] {
  %p.1 = f32[8]{0} parameter(0)
  %exp = f32[8]{0} exponential(%p.1)
  ROOT %half = bf16[8]{0} convert(%exp)
}

ENTRY %main.9 (a: f32[8]) -> f32[8] {
  %a = f32[8]{0} parameter(0)
  %fusion.1 = f32[8]{0} fusion(%a), calls=%fused.1, metadata={op_name="jit/g/c_0/conv"}
  %dot.2 = f32[8]{0} dot(%fusion.1, %a), metadata={op_name="a/b"}
  %custom = (f32[8]{0}, u8[0]{0}) custom-call(%a), custom_call_target="__cublas$gemm"
  %reduce.1 = f32[] reduce(%a), to_apply=%joined
  %copy.5 = f32[8]{0} copy(%a)
  ROOT %fusion.2 = f32[8]{0} fusion(%a), calls=%joined
}
"""


def test_what_instructions_are():
    found = profile.kinds_of(HLO)
    assert {name: found[name][0] for name in found if name[0] != "p"} == {
        "convolution.3": "convolutions",
        "exp": "the rest",
        "half": "the rest",
        "a": "the rest",
        "fusion.1": "convolutions",
        "dot.2": "products",
        "custom": "products",
        "reduce.1": "reductions",
        "copy.5": "copies",
        "fusion.2": "the rest",
    }
    assert found["fusion.1"][1] == "g/c_0/conv"


def event(name, start, duration, tid=1):
    return {
        "ph": "X",
        "pid": 7,
        "tid": tid,
        "ts": start,
        "dur": duration,
        "args": {"hlo_op": name},
    }


def test_an_operation_has_the_time_that_those_inside_it_leave():
    events = [
        event("while", 0, 10),
        event("dot", 1, 4),
        event("copy", 5, 2),
        event("dot", 20, 5),
        event("dot", 0, 20, tid=2),
        {"ph": "X", "pid": 7, "tid": 3, "ts": 0, "dur": 90},
        {"ph": "M", "pid": 7, "name": "process_name"},
    ]
    own, span = profile.own_times(events)
    assert own == {"while": 4, "dot": 29, "copy": 2}
    assert span == 25


def test_a_training_is_profiled(tmp_path, capsys):
    write_phantom(tmp_path, patients=1, seed=0, shape=(48, 48, 31), spacing_mm=5)
    words = "--only profile --systems pix2pix --sizes 32 --widths tiny --batch 2"
    assert (
        run.main([*words.split(), "--steps", "1", "--source-dir", str(tmp_path)]) == 0
    )
    row = capsys.readouterr().out.split("\n| pix2pix | ")[1].split("\n")[0].split(" | ")
    assert row[:2] == ["32", "2"] and float(row[2].replace(",", "")) > 0
    shares = [int(share.rstrip("%")) for share in row[3:8]]
    assert 95 <= sum(shares) <= 105 and shares[0] + shares[1] > 5
