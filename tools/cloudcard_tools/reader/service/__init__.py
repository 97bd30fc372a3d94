"""The workstation's agent as a service: whoever signs in has their card in the reader."""
