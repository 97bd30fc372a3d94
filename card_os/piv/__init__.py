"""PIV card application (NIST SP 800-73-5)."""

from card_os.piv.application import PivApplication, new_card
from card_os.piv.image import CardImage, Features

__all__ = ["CardImage", "Features", "PivApplication", "new_card"]
