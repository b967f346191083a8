//! How the way between two programs is.

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It arrives.
    Open,
    /// It waits.
    Stalled,
    /// It vanishes, and nobody is told: as on a cut cable.
    Lost,
}

/// How the cable is, for what peers send to the program and for what it sends back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cable {
    /// From the peers to the program.
    pub up: Flow,
    /// From the program to the peers.
    pub down: Flow,
    /// Whether connections are closed at once, those that are there and new ones.
    pub refused: bool,
}

impl Cable {
    /// Whole.
    pub const WHOLE: Self = Self {
        up: Flow::Open,
        down: Flow::Open,
        refused: false,
    };

    /// Nothing arrives, and nobody is told.
    pub const CUT: Self = Self {
        up: Flow::Lost,
        down: Flow::Lost,
        refused: false,
    };

    /// Everything waits.
    pub const STALLED: Self = Self {
        up: Flow::Stalled,
        down: Flow::Stalled,
        refused: false,
    };

    /// Whoever comes is turned away.
    pub const REFUSED: Self = Self {
        refused: true,
        ..Self::WHOLE
    };
}
