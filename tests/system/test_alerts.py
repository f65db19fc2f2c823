"""The alerts are understood by Prometheus, fire when they should, and speak of series that the programs have."""
import re
import subprocess

from live import ROOT

FOLDER = ROOT / "configs" / "prometheus"
RULES = FOLDER / "guideway-alerts.yml"


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_rules_and_the_configuration():
    promtool("check", "rules", RULES.name)
    promtool("check", "config", "prometheus.yml")


def test_alerts_fire_when_they_should_and_else_do_not():
    promtool("test", "rules", "guideway-alerts-test.yml")


def test_each_series_of_an_alert_is_one_that_a_program_has():
    """A renamed metric would silence its alert for good."""
    source = "".join(path.read_text() for path in sorted((ROOT / "controlplane").rglob("*.cc")))
    # The cloud controller names its series without their common front.
    known = set(re.findall(r'"(guideway_\w+)"', source))
    known |= {f"guideway_cloud_controller_{name}" for name in re.findall(r'MetricType::\w+,\s*"(\w+)"', source)}
    known |= {f"{name}_count" for name in known}
    expressions = re.findall(r"expr: (.*?)\n        (?:for|labels):", RULES.read_text(), re.S)
    named = set(re.findall(r"\bguideway_\w+", " ".join(expressions)))
    assert len(named) > 20 and not named - known, named - known


def test_each_alert_says_what_to_do():
    rules = re.split(r"\n      - alert: ", RULES.read_text())[1:]
    names = [rule.split("\n", 1)[0] for rule in rules]
    assert len(names) == len(set(names)) > 20, "twice the same"
    for name, rule in zip(names, rules):
        assert "severity: " in rule and "summary: " in rule and "description: " in rule, name
