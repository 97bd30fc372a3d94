"""PIV card application (NIST SP 800-73-5)."""

from card_os.piv.application import PivApplication, new_card
from card_os.piv.image import CardImage

__all__ = ["CardImage", "PivApplication", "new_card"]
