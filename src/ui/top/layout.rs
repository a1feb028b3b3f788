//! Divides the rows of the terminal among the parts of the screen.

use super::state::Band;

/// The fewest rows of a terminal that shows all three lists.
const ALL_LISTS: u16 = 12;
/// The fewest rows of a terminal in which a running spec takes two rows, and the selected item is described.
const ROOMY: u16 = 18;

/// What the division depends on.
pub(super) struct Lists {
    /// How many items each list has.
    pub(super) counts: [usize; 3],
    /// The current list.
    pub(super) band: Band,
}

/// The rows of each part of the screen, from top to bottom: header, lists, details, status bar, keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) header: u16,
    /// The lists that are shown, each with the rows below its title.
    pub(super) lists: Vec<(Band, u16)>,
    /// The rows that describe the selected item.
    pub(super) details: u16,
    pub(super) status: u16,
    pub(super) keys: u16,
    /// How many rows a running spec takes.
    pub(super) running_rows: u16,
}

impl Layout {
    pub(super) fn new(rows: u16, lists: &Lists) -> Layout {
        let header = u16::from(rows >= 3);
        let status = u16::from(rows >= 2);
        let keys = u16::from(rows >= 8);
        let details = match rows {
            0..ROOMY => 0,
            ROOMY..40 => 2,
            _ => 4,
        };
        let running_rows = if rows >= ROOMY { 2 } else { 1 };
        let left = rows.saturating_sub(header + status + keys + details);
        let shown = if rows >= ALL_LISTS { Band::ALL.to_vec() } else { vec![lists.band] };
        let titles = u16::try_from(shown.len()).unwrap_or(0);
        let wanted = shown.iter().map(|band| {
            let count = u16::try_from(lists.counts[*band as usize]).unwrap_or(u16::MAX).max(1);
            if *band == Band::Running { count.saturating_mul(running_rows) } else { count }
        });
        let given = shares(left.saturating_sub(titles), &wanted.collect::<Vec<_>>());
        Layout { header, lists: shown.into_iter().zip(given).collect(), details, status, keys, running_rows }
    }

    /// Returns how many items of a list are shown.
    pub(super) fn items(&self, band: Band) -> usize {
        let rows = self.lists.iter().find(|(shown, _)| *shown == band).map_or(0, |(_, rows)| *rows);
        let each = if band == Band::Running { self.running_rows } else { 1 };
        usize::from(rows / each)
    }
}

/// Divides `rows`: everybody gets what it wants if there is enough, else the same share. The last one gets what is
/// left over.
fn shares(rows: u16, wanted: &[u16]) -> Vec<u16> {
    let mut given = vec![0; wanted.len()];
    let mut left = rows;
    while left > 0 {
        let hungry: Vec<usize> = (0..wanted.len()).filter(|index| given[*index] < wanted[*index]).collect();
        if hungry.is_empty() {
            break;
        }
        for index in hungry.into_iter().take(usize::from(left)) {
            given[index] += 1;
            left -= 1;
        }
    }
    if let Some(last) = given.last_mut() {
        *last += left;
    }
    given
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_are_shared_by_those_that_want_more() {
        assert_eq!(shares(9, &[2, 2, 2]), [2, 2, 5]);
        assert_eq!(shares(9, &[1, 10, 10_000]), [1, 4, 4]);
        assert_eq!(shares(2, &[5, 5, 5]), [1, 1, 0]);
        assert_eq!(shares(3, &[9]), [3]);
    }

    proptest! {
        #[test]
        fn the_parts_fill_the_terminal_exactly(rows in 0u16..300, counts: [usize; 3], band in 0usize..3) {
            let layout = Layout::new(rows, &Lists { counts, band: Band::ALL[band] });
            let lists: u16 = layout.lists.iter().map(|(_, rows)| rows + 1).sum();
            let all = layout.header + lists + layout.details + layout.status + layout.keys;
            prop_assert!(all == rows || rows < 4, "{layout:?}");
            prop_assert!(layout.lists.iter().any(|(shown, _)| *shown == Band::ALL[band]));
        }
    }
}
