"""A wall clock that jumps while a night is under way, for the night and its servers."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from faulting.ground import Ground
from faulting.nights import Broken, NotInjected

_SOURCE = Path(__file__).with_name("clock.c")
_HOUR = 3600


def jump(ground: Ground, where: str) -> str:
    """The clock jumps inside a stage; the next night has the true time again.

    Args:
        ground: Where.
        where: The stage's title, and how far (signed hours).
    """
    title, hours = where.split()
    folder = ground.home.parent
    library, offset = folder / "clock.so", folder / "offset"
    command = ["cc", "-shared", "-fPIC", "-O2", "-o", library, _SOURCE, "-ldl"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotInjected(f"a C compiler is needed: {error}") from error
    offset.write_bytes(struct.pack("=q", 0))
    night = ground.night({"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(offset)})
    night.wait_until(lambda: ground.is_working_on(title))
    with offset.open("r+b") as handle:  # in place, since it is mapped
        handle.write(struct.pack("=q", int(hours) * _HOUR))
    ended = night.wait()
    if ended.status or "Traceback" in ended.err:
        raise Broken(f"it ended with {ended.status}: {ended.err[-800:]}")
    return f"the clock jumped by {hours} h, the night ended well"
