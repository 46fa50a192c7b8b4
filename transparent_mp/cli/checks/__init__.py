"""What `transparent-mp doctor` tries: a file for each part of the way from a program to its workers."""
