"""`cloudcard demo`: the whole product, each part a process of its own, used by a real
application.
"""
