"""`taskq advise`: what each task is, where it should run, and how many processes and threads this host should have.

rows       what is stored of each task, judged              plan     --procs and --threads, by Little's law
view       what is printed                                  command  asks, judges, shows
"""
