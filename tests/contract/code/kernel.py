"""Runs cells in a Jupyter kernel, which inherits what switches us on, and prints what they print."""

import nbclient
import nbformat

CELLS = (
    "import multiprocessing as mp\nfactor = 3\ndef work(x):\n    return x * factor",
    "with mp.get_context('fork').Pool(2) as pool:\n    print(pool.map(work, range(3)))",
    "factor = 10\nclass Shape:\n    pass\ndef make(x):\n    return x * factor, Shape()",
    "with mp.get_context('fork').Pool(2) as pool:\n    found = pool.map(make, range(3))\n"
    "print([x for x, _ in found], all(type(s) is Shape for _, s in found))",
    "import inspect\ndef where():\n    return 'In', 'cell' if 'return' in inspect.getsource(where) else ''\n"
    "with mp.get_context('fork').Pool(1) as pool:\n    print(pool.apply(where))",
)

notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
for cell in notebook.cells:
    for output in cell.outputs:
        print(output.get("text", output), end="")
