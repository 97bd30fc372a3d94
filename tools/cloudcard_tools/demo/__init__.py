"""`cloudcard demo`: the whole product, each part its own process, with a real application at the
card.
"""
