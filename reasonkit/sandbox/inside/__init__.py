"""What runs in the sandbox's own processes: the standard library only, nothing of reasonkit.

The folder is put on the path of a clean interpreter and imported as ``inside``, so its modules
import each other relatively.
"""
