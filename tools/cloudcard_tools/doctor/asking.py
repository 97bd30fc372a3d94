"""Asks PC/SC and a PKCS#11 module in a process of their own, which can be ended if they hang.

`python -m cloudcard_tools.doctor.asking readers`, or `slots MODULE`, prints one JSON object.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from cloudcard_tools.shared import pcsc
from cloudcard_tools.shared.processes import Json

Answer: TypeAlias = "Mapping[str, Json]"

SECONDS = 3.0
LATE: Answer = {"late": True}

# Places in CK_FUNCTION_LIST (PKCS #11 v2.40, pkcs11f.h); the version takes as much room as one.
INITIALIZE, FINALIZE, GET_INFO, GET_SLOT_LIST, GET_SLOT_INFO = 1, 2, 3, 5, 6
DESCRIPTION, INFO = 64, 256  # bytes: of CK_SLOT_INFO's first field; room for any CK_INFO
LIBRARY_VERSION = 80  # bytes before it in CK_INFO, where a long has 8 bytes


def ask(*arguments: str) -> Answer:
    """The answer of the process; `LATE` if it takes too long or ends in another way."""
    command = [sys.executable, "-P", "-m", __spec__.name, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(  # noqa: S603 (this interpreter)
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=SECONDS,
            check=False,
        )
        answer: Answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return LATE
    except ValueError:
        return {"ended": done.returncode}
    return answer


def readers() -> Answer:
    """The readers by name, and whether each holds a card; or why PC/SC does not tell."""
    try:
        with pcsc.client() as client:
            return {"readers": {name: client.present(name) for name in client.readers()}}
    except ImportError:
        return {"missing": "smartcard"}
    except pcsc.PcscError as error:
        return {"error": error.message, "remedy": error.remedy}


def slots(module: Path) -> Answer:
    """The readers that a PKCS#11 module shows, each once, and the module's version."""
    try:
        library = ctypes.CDLL(str(module))
        table = ctypes.POINTER(ctypes.c_void_p)()
        _require(library.C_GetFunctionList(ctypes.byref(table)))
    except (OSError, AttributeError) as error:
        return {"error": str(error)}
    functions = table

    def call(place: int, *arguments: object) -> None:
        address = functions[place]
        _require(ctypes.CFUNCTYPE(ctypes.c_ulong)(address or 0)(*arguments))

    try:
        call(INITIALIZE, None)
        info = ctypes.create_string_buffer(INFO)
        call(GET_INFO, info)
        count = ctypes.c_ulong(0)
        call(GET_SLOT_LIST, ctypes.c_ubyte(0), None, ctypes.byref(count))
        numbers = (ctypes.c_ulong * count.value)()
        call(GET_SLOT_LIST, ctypes.c_ubyte(0), numbers, ctypes.byref(count))
        names = []
        for number in numbers[: count.value]:
            told = ctypes.create_string_buffer(INFO)
            call(GET_SLOT_INFO, ctypes.c_ulong(number), told)
            names.append(told.raw[:DESCRIPTION].decode("utf-8", "replace").strip())
        call(FINALIZE, None)
    except OSError as error:
        return {"error": str(error)}
    major, minor = info.raw[LIBRARY_VERSION : LIBRARY_VERSION + 2]
    return {"slots": list(dict.fromkeys(names)), "version": f"{major}.{minor}"}


def _require(result: int) -> None:
    if result != 0:
        raise OSError(f"the module answers with error {result:#x}")


def main(what: str, *arguments: str) -> None:
    """Print the answer."""
    print(json.dumps(readers() if what == "readers" else slots(Path(*arguments))), flush=True)
    os._exit(0)  # a module that is loaded can hang at the end


if __name__ == "__main__":
    main(*sys.argv[1:])
