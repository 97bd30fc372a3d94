"""All checks, in the order in which they depend on each other."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial

from cloudcard_tools.doctor import asking, daemon, driver, opensc, system, vpcd
from cloudcard_tools.doctor.checks import Check, Once, warning
from cloudcard_tools.doctor.places import Places
from cloudcard_tools.shared.extras import install
from cloudcard_tools.shared.failures import Failure

PCSCD_HANGS = "restart pcscd: sudo systemctl restart pcscd"


def checks(places: Places) -> tuple[Check, ...]:
    """The checks of this computer, of its agent, and of its identities and their keystores."""
    return (*of_computer(places), *of_identities(places))


def of_computer(places: Places) -> tuple[Check, ...]:
    """The checks that need no keystore."""
    readers: Once[asking.Answer] = Once(partial(asking.ask, "readers"))
    slots: Once[asking.Answer] = Once(partial(_slots, places))
    everywhere = (
        Check("python.version", "Python", system.python),
        Check("clock.plausible", "Clock", system.clock),
        Check("versions", "Versions", lambda: system.judged(system.versions(slots()))),
    )
    pcsc = (
        Check("pcsc.access", "PC/SC", lambda: daemon.access(readers()), PCSCD_HANGS),
        Check("pcsc.readers", "Readers", lambda: daemon.readers(places, readers()), PCSCD_HANGS),
    )
    if sys.platform != "linux":
        return everywhere + pcsc
    return (
        *everywhere,
        Check("pcscd.installed", "pcscd installed", daemon.installed),
        Check("driver.installed", "Our driver", partial(driver.installed, places)),
        Check("vpcd.driver", "vpcd driver", partial(vpcd.driver, places)),
        Check("pcscd.running", "pcscd running", partial(daemon.running, places), PCSCD_HANGS),
        Check("pcscd.sandbox", "pcscd's sandbox", partial(daemon.sandbox, places)),
        Check("driver.socket", "Our driver's socket", partial(driver.answering, places)),
        Check("vpcd.ports", "vpcd ports", partial(vpcd.ports, places)),
        *pcsc,
        Check("opensc.module", "OpenSC", partial(opensc.module, places, slots), opensc.WAITS),
        Check(
            *("opensc.readers", "OpenSC's readers"),
            partial(opensc.shown, places, readers, slots),
            opensc.WAITS,
        ),
        Check("desktop.session", "Session", partial(system.session, places)),
        Check("desktop.bus", "System bus", partial(system.bus, places)),
    )


def of_identities(places: Places) -> tuple[Check, ...]:
    """The checks of the agent, identities and keystores, which need the packages of the extra
    `reader`.
    """
    try:
        from cloudcard_tools.doctor import agent, identities, keystore
        from cloudcard_tools.reader.service.settings import take_configured_proxy
    except ModuleNotFoundError as error:
        missing = warning(
            f"the Python module {error.name!r} is missing, so this was not tried",
            f"{install('reader')} (needed for cards of a keystore)",
        )
        return (Check("keystore.reachable", "Keystore", lambda: missing),)
    with suppress(Failure):  # which the first check tells
        take_configured_proxy(places.policy)
    return (
        Check("agent.configuration", "Agent's settings", partial(agent.configuration, places)),
        *((Check("agent.window", "Window", agent.window),) if sys.platform == "linux" else ()),
        *identities.checks(),
        *keystore.checks(),
    )


def _slots(places: Places) -> asking.Answer:
    module = places.module()
    return {} if module is None else asking.ask("slots", str(module))
