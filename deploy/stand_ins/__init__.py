"""How the stand-in models are made: tiny models of the real architectures, taught a rule each. They know nothing of markets."""
