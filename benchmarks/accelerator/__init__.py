"""What an accelerator gives: the same answers as the processor, how many more a second, and better weights.

``bash benchmarks/accelerator/run.sh --out DIR`` takes at most nine minutes and leaves a JSON and weights in DIR; with
``--tiny`` it runs in under a minute on a processor. Besides NumPy and SciPy it needs torch, torch-geometric,
safetensors, shapely and meshio, and lightning for the training.
"""
