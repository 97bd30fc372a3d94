"""The program that shows prompts: a window, or a notification. The system's Python runs it, so it
needs the standard library alone, and GTK's bindings where there are any.
"""
