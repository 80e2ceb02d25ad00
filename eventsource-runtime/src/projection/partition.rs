//! The parts of a projection that run side by side.

use std::fmt;

use crate::fnv::spread;
use crate::store::StreamId;

/// One of the parts in which a projection runs: the streams whose names hash to its index.
///
/// Each has a checkpoint and a lease of its own. Most projections have one part, which holds every stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Partition {
    /// The projection's name.
    pub projection: &'static str,
    /// Which part, from 0.
    pub index: u32,
    /// How many parts there are, at least 1.
    pub count: u32,
}

impl Partition {
    /// Every part of a projection; one where `count` is 0.
    pub fn all(projection: &'static str, count: u32) -> impl Iterator<Item = Self> {
        let count = count.max(1);
        (0..count).map(move |index| Self { projection, index, count })
    }

    /// The one part of a projection that runs in one.
    #[must_use]
    pub const fn whole(projection: &'static str) -> Self {
        Self { projection, index: 0, count: 1 }
    }

    /// The part that a stream belongs to. It never changes while the number of parts does not.
    #[must_use]
    pub fn of(projection: &'static str, stream: &StreamId, count: u32) -> Self {
        let count = count.max(1);
        Self { projection, index: (spread(stream.as_str().bytes()) >> 32) as u32 % count, count }
    }

    /// Whether a stream belongs to this part.
    #[must_use]
    pub fn holds(&self, stream: &StreamId) -> bool {
        self.count == 1 || Self::of(self.projection, stream, self.count).index == self.index
    }
}

/// `OrderViews`, or `OrderViews 2/4` if there are several parts.
impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.projection)?;
        if self.count > 1 { write!(f, " {}/{}", self.index + 1, self.count) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_is_in_one_part_and_the_parts_are_of_one_size() {
        let mut sizes = [0; 4];
        for id in 0..4000 {
            let stream = StreamId::new("Order", id);
            let parts: Vec<_> = Partition::all("P", 4).filter(|part| part.holds(&stream)).collect();
            assert_eq!(parts, [Partition::of("P", &stream, 4)]);
            sizes[parts[0].index as usize] += 1;
        }
        assert!(sizes.iter().all(|size| (800..1200).contains(size)), "{sizes:?}");
        assert!(Partition::whole("P").holds(&StreamId::new("Order", 1)));
    }

    /// A checkpoint that was stored by an earlier release holds for the same streams in this one.
    #[test]
    fn the_part_of_a_stream_never_changes() {
        let parts: Vec<_> = (0..8).map(|id| Partition::of("P", &StreamId::new("Order", id), 4).index).collect();
        assert_eq!(parts, FROZEN);
    }

    const FROZEN: [u32; 8] = [1, 0, 3, 2, 1, 1, 3, 0];
}
