"""What the model's words promise to a type checker. This file is never run; mypy reads it.

A line with a `type: ignore` must be an error: mypy refuses an ignore that is not needed.
"""

from typing import assert_type

from lwm2m_fota.model.codes import Code
from lwm2m_fota.model.enums import State, UpdateResult
from lwm2m_fota.model.paths import Path

path = Path.of(5, 0, 3)
assert_type(path, Path)
assert_type(path / 1, Path)
assert_type(path.object_id, int | None)
path.ids = (5,)  # type: ignore[misc]  # a path is frozen
Path.of("5")  # type: ignore[arg-type]  # ids are integers

assert_type(UpdateResult(99), UpdateResult)
assert_type(UpdateResult.SUCCESS.is_known, bool)
state: State = 2  # type: ignore[assignment]  # a bare integer is not a state
code: int = Code.CONTENT  # a code is an integer, so that unknown codes survive


class Mine(Path):  # type: ignore[misc]  # values are final
    """Not allowed."""
