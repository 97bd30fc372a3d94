"""Use cases of programs that call the REST API, beside those that they share with operators, and
what operators decide about what these programs say.
"""
