//! Collects the problems that are found while a document is read.

use std::ops::Range;

use super::problem::Problem;

/// The number of problems after which a reader may stop searching: more problems take long to find and do not
/// help the user.
const ENOUGH: usize = 100;

/// The problems found so far, and the parts of the document that a syntax error made unreliable.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    problems: Vec<Problem>,
    damaged: Vec<Range<usize>>,
}

impl Faults {
    /// Reports a problem, unless it lies in a part that a syntax error made unreliable.
    pub(crate) fn push(&mut self, problem: Problem) {
        let lies_in = |damaged: &Range<usize>| {
            problem.span.as_ref().is_some_and(|span| damaged.start <= span.start && span.start <= damaged.end)
        };
        if !self.damaged.iter().any(lies_in) {
            self.problems.push(problem);
        }
    }

    /// Reports that a key or table is missing, unless the document has a syntax error: the parser may have
    /// lost the key or table because of that error.
    pub(crate) fn push_absent(&mut self, problem: Problem) {
        if self.damaged.is_empty() {
            self.problems.push(problem);
        }
    }

    /// Returns whether so many problems were reported that the reader may stop searching.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= ENOUGH
    }

    /// Returns whether no problem was reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn push_syntax(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn set_damaged(&mut self, damaged: Vec<Range<usize>>) {
        self.damaged = damaged;
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_in_a_damaged_part_and_missing_values_are_left_out() {
        let mut faults = Faults::default();
        faults.push_absent(Problem::new("missing", None));
        faults.set_damaged(vec![10..20, 40..41]);
        for at in [9, 10, 20, 21, 40] {
            faults.push(Problem::new(at.to_string(), at..at + 1));
        }
        faults.push(Problem::new("whole", None));
        faults.push_absent(Problem::new("swallowed", None));
        let messages: Vec<String> = faults.into_problems().into_iter().map(|problem| problem.message).collect();
        assert_eq!(messages, ["missing", "9", "21", "whole"]);
    }

    #[test]
    fn faults_are_full_at_one_hundred() {
        let mut faults = Faults::default();
        assert!(faults.is_empty());
        for number in 1..=ENOUGH {
            assert!(!faults.is_full());
            faults.push(Problem::new(number.to_string(), None));
        }
        assert!(faults.is_full() && !faults.is_empty());
    }
}
