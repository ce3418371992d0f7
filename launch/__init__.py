"""Starting the workers of a training job and looking after them: the command ``dtorch-launch``.

Only the standard library is used here: a launcher must start at once and outlive what it watches.
"""
