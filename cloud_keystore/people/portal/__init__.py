"""Use cases of the portal, on which people look after their own: passwords, codes by e-mail,
security questions.
"""
