from multiprocessing.heap import BufferWrapper
