"""Runs that fall into a slow stretch of the machine are repeated: shared by scripts/bench_conv and scripts/bench_train."""
import json
import subprocess


class Machine:
    """A host may let two virtual processors share a core for seconds, and nothing but their speed shows it. So the peak
    of all threads is measured around each run, and a run that saw less than nearly the best is repeated."""

    def __init__(self, duet_bench, threads):
        self.command = [duet_bench, "conv", "--json", "--threads", str(threads), "--filter", "none of them"]
        self.best = 0
        self.repeated = 0
        self.now = self.peak()

    def peak(self):
        output = subprocess.run(self.command, check=True, capture_output=True, text=True).stdout
        self.now = json.loads(output.splitlines()[0])["peak_gflops"]
        self.best = max(self.best, self.now)
        return self.now

    def steady(self, function, tries=8):
        for _ in range(tries):
            before = self.now
            result = function()
            if min(before, self.peak()) > 0.93 * self.best:
                break
            self.repeated += 1
        return result
