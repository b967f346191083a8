//! What happens to several programs at once, or for long, under a steady load. Each story is of one
//! network; they are told side by side, for some of them wait for minutes.

mod faults {
    pub(crate) mod away;
    pub(crate) mod churn;
    pub(crate) mod partition;
    pub(crate) mod together;
}
