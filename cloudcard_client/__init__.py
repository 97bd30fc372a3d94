"""A client of the registration authority's REST API (docs/rest.md). Standard library only."""

from __future__ import annotations

from cloudcard_client.calling import ApiError as ApiError
from cloudcard_client.calling import ChangedMeanwhile as ChangedMeanwhile
from cloudcard_client.calling import Conflict as Conflict
from cloudcard_client.calling import Invalid as Invalid
from cloudcard_client.calling import NotAllowed as NotAllowed
from cloudcard_client.calling import NotFound as NotFound
from cloudcard_client.calling import NotReached as NotReached
from cloudcard_client.calling import TokenRejected as TokenRejected
from cloudcard_client.calling import TooManyCalls as TooManyCalls
from cloudcard_client.client import Client as Client
from cloudcard_client.models import Card as Card
from cloudcard_client.models import Invitation as Invitation
from cloudcard_client.models import Person as Person
from cloudcard_client.webhooks import Happened as Happened
from cloudcard_client.webhooks import NotGenuine as NotGenuine
from cloudcard_client.webhooks import verify as verify
