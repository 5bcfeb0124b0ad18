"""What a study tells; the study itself is run in test_train.py."""

from flows.summaries.ablation import AblationSummary
from flows.summaries.skipped import SkippedRun


def test_a_study_whose_evaluation_was_left_to_another_run_says_so() -> None:
    left = SkippedRun(run_id="mine", reason="another is at work on the output")
    summary = AblationSummary(study="levels", trainings={}, evaluation=left)
    assert summary.evaluation == left
    assert "another is at work on the output" in summary.markdown()
    assert summary.sentence() == (
        "0 variants of the study levels are trained. Nothing done: another is at work on the output"
    )
