"""Where private keys are made, used and destroyed, one module a backend."""
