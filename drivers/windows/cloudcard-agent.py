"""What PyInstaller makes a program of."""

from cloudcard_tools.__main__ import main

main()
