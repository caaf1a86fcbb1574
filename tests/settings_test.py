import dataclasses

import pytest

from jaxsyn import settings
from jaxsyn.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    spec: int
    width: int
    groups: tuple = ()


def test_values_and_what_is_given_meet_in_one_object():
    made = settings.build(Settings, {"width": 3, "groups": [["a"]]}, "config.x", spec=1)
    assert made == Settings(spec=1, width=3, groups=(("a",),))


def test_an_unknown_key_is_named_with_its_neighbour():
    with pytest.raises(UsageError, match="config.x.widht is not known") as error:
        settings.build(Settings, {"widht": 3}, "config.x", spec=1)
    assert "Did you mean 'width'? Known are: groups, width." in error.value.hint


def test_what_the_program_gives_cannot_be_configured():
    with pytest.raises(UsageError, match="config.x.spec is not known"):
        settings.build(Settings, {"spec": 2, "width": 3}, "config.x", spec=1)


def test_a_missing_key_is_named():
    with pytest.raises(UsageError, match="config.x lacks width"):
        settings.build(Settings, {}, "config.x", spec=1)


def test_a_value_of_another_type_is_refused():
    with pytest.raises(UsageError, match="config.x.width is 'wide'") as error:
        settings.build(Settings, {"width": "wide"}, "config.x", spec=1)
    assert "type int" in error.value.hint
    with pytest.raises(UsageError, match="config.x.width is True"):
        settings.build(Settings, {"width": True}, "config.x", spec=1)
