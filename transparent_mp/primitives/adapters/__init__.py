"""What libraries that go round multiprocessing need: one module for each, imported when the library is."""
