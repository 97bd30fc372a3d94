"""An OpenID provider that looks like CIS2, the NHS's log-in service, to its clients."""
