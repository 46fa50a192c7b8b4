from multiprocessing.spawn import prepare, get_preparation_data
