"""HTTP for the faces that speak it to programs and browsers: connections, bodies, problems."""
