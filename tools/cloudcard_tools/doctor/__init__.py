"""`cloudcard doctor`: checks what this computer needs, and says for each fault what to do."""

from cloudcard_tools.doctor.command import doctor

__all__ = ["doctor"]
