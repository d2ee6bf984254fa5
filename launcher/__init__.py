"""Setting up and running everything on one machine; nothing here but the standard library.

`python -m launcher setup` installs, `python -m launcher run` installs and runs. It works on a
bare machine, so it may import nothing that pip would have to bring.
"""
