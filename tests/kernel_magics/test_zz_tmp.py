from tests.kernel_magics.test_runner_cells import FLOW
def test_x(nb):
    nb.ok(FLOW.format(runner="ProcessPoolTaskRunner(1)"), "a")
    nb.ok('''
try: pipeline(fail=True)
except Exception as e:
    import inspect, traceback
    tb=e.__traceback__
    while tb.tb_next: tb=tb.tb_next
    try: inspect.getsourcelines(tb.tb_frame)
    except BaseException as x: traceback.print_exception(x)
''', "e")
    print(nb.output("e"))
