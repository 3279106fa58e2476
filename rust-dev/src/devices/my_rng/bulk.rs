// SPDX-License-Identifier: GPL-2.0-or-later

//! The bulk engine: many numbers at once, by DMA.
//!
//! A write of DOORBELL names a page of guest memory, and there is all that the transfer is: nothing of it
//! is kept here, so nothing has to travel or to be reset. The transfer is over when the write is. That
//! holds up the whole machine, so the bytes of one are limited to what every generator makes in less
//! than a millisecond or so.

use core::fmt;
use core::sync::atomic::{Ordering, fence};

use super::{Event, MyRng};
use crate::abi;
use crate::generator::{NoEntropy, Sink};
use crate::pci::{GuestMemory, Host};

#[cfg(test)]
mod tests;

/// In how many pieces the segments of a transfer may be mapped. Memory lies in a few large ones; an IOMMU
/// may cut it by pages, at whose ends the segments may start and stop, too.
const MAX_PIECES: usize = 2 * abi::BULK_MAX_SEGMENTS + abi::BULK_MAX_BYTES / 4096;

/// Why a transfer is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    descriptor: u64,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// The descriptor itself is not in memory.
    NoDescriptor,
    /// It has no segments, or too many.
    Count(u32),
    /// A field that has to be 0 is not.
    Reserved,
    /// Something is wrong with the segment of this number.
    Segment(usize, SegmentReason),
    /// The segments are too long, taken together.
    Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SegmentReason {
    /// It has no bytes, or its address or length is no multiple of 4, or it goes beyond the last address.
    Shape,
    /// A field that has to be 0 is not.
    Reserved,
    /// It is not in memory.
    NotMemory,
}

impl Reason {
    /// What the descriptor's status says of it.
    fn status(self) -> u32 {
        match self {
            Self::Segment(_, SegmentReason::NotMemory) => abi::BULK_BAD_MEMORY,
            _ => abi::BULK_BAD_DESCRIPTOR,
        }
    }
}

/// A part of guest memory that is to be filled.
#[derive(Clone, Copy, Debug)]
struct Segment {
    address: u64,
    length: usize,
}

/// A copy of a descriptor: the guest may change the memory at any time, so it is read once.
struct Descriptor([u8; abi::BULK_PAGE]);

impl Descriptor {
    fn number<const N: usize>(&self, at: usize) -> [u8; N] {
        let bytes = self.0.get(at..).and_then(|bytes| bytes.first_chunk());
        // All offsets are constants of the format, within the page.
        bytes.copied().unwrap_or([0; N])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.number(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.number(at))
    }

    /// The segments, which are as they have to be.
    fn segments(&self) -> Result<Vec<Segment>, Reason> {
        let count = self.u32(abi::BULK_COUNT);
        let number = usize::try_from(count)
            .ok()
            .filter(|number| (1..=abi::BULK_MAX_SEGMENTS).contains(number))
            .ok_or(Reason::Count(count))?;
        if self.u32(abi::BULK_DONE + 4) != 0 {
            return Err(Reason::Reserved);
        }
        let mut segments = Vec::with_capacity(number);
        let mut total = 0_usize;
        for index in 0..number {
            let segment = self
                .segment(abi::BULK_SEGMENTS + index * abi::BULK_SEGMENT_SIZE)
                .map_err(|reason| Reason::Segment(index, reason))?;
            total = total.saturating_add(segment.length);
            segments.push(segment);
        }
        if total > abi::BULK_MAX_BYTES {
            return Err(Reason::Length);
        }
        Ok(segments)
    }

    fn segment(&self, at: usize) -> Result<Segment, SegmentReason> {
        let (address, length) = (self.u64(at), self.u32(at + 8));
        if self.u32(at + 12) != 0 {
            return Err(SegmentReason::Reserved);
        }
        let word = abi::REG_SIZE as u64;
        let ends = address.checked_add(u64::from(length).saturating_sub(1));
        let length = usize::try_from(length).map_err(|_| SegmentReason::Shape)?;
        if length == 0 || address % word != 0 || length % abi::REG_SIZE != 0 || ends.is_none() {
            return Err(SegmentReason::Shape);
        }
        Ok(Segment { address, length })
    }
}

/// Maps all segments, in their order.
fn map<H: Host<Event>>(host: &mut H, segments: &[Segment]) -> Result<Vec<H::Memory>, Reason> {
    let mut pieces = Vec::with_capacity(segments.len());
    for (index, segment) in segments.iter().enumerate() {
        let not_memory = Reason::Segment(index, SegmentReason::NotMemory);
        let Segment {
            mut address,
            mut length,
        } = *segment;
        while length > 0 {
            let room = pieces.len() < MAX_PIECES;
            let piece = room
                .then(|| host.map(address, length))
                .flatten()
                // No word is in two pieces.
                .filter(|piece| piece.size() > 0 && piece.size() % abi::REG_SIZE == 0)
                .ok_or(not_memory)?;
            length = length.saturating_sub(piece.size());
            address = address.wrapping_add(piece.size() as u64);
            pieces.push(piece);
        }
    }
    Ok(pieces)
}

/// Pieces of memory, which are filled one after the other.
struct Pieces<M> {
    /// The one that is being filled, and those after it.
    rest: std::vec::IntoIter<M>,
    current: Option<M>,
    /// How far the current one is filled.
    at: usize,
    /// How far all are.
    done: usize,
}

impl<M: GuestMemory> Pieces<M> {
    fn new(pieces: Vec<M>) -> Self {
        let mut rest = pieces.into_iter();
        Self {
            current: rest.next(),
            rest,
            at: 0,
            done: 0,
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        self.done += bytes;
        if self.room() == 0 {
            self.current = self.rest.next();
            self.at = 0;
        }
    }
}

impl<M: GuestMemory> Sink for Pieces<M> {
    fn room(&self) -> usize {
        let length = self.current.as_ref().map_or(0, GuestMemory::size);
        length.saturating_sub(self.at)
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(piece) = &mut self.current {
            piece.write(self.at, bytes);
            self.advance(bytes.len());
        }
    }

    // See the glue's.
    #[inline(always)]
    fn write_u64s(&mut self, count: usize, next: impl FnMut() -> u64) {
        if let Some(piece) = &mut self.current {
            piece.write_u64s(self.at, count, next);
            self.advance(count * size_of::<u64>());
        }
    }
}

impl MyRng {
    /// For a write of DOORBELL: carries out the transfer whose descriptor is in this page.
    pub(super) fn transfer(
        &mut self,
        host: &mut impl Host<Event>,
        page: u32,
    ) -> Result<(), Refusal> {
        let descriptor = u64::from(page) * abi::BULK_PAGE as u64;
        let refusal = |reason| Refusal { descriptor, reason };
        // Mapped until the status is written: writing it cannot fail once the segments are filled.
        let mut memory = host
            .map(descriptor, abi::BULK_PAGE)
            .filter(|memory| memory.size() == abi::BULK_PAGE)
            .ok_or(refusal(Reason::NoDescriptor))?;
        let mut page = Descriptor([0; abi::BULK_PAGE]);
        if !host.read(descriptor, &mut page.0) {
            return Err(refusal(Reason::NoDescriptor));
        }

        let filled = page
            .segments()
            .and_then(|segments| map(host, &segments))
            .map(|pieces| self.fill(host, pieces));
        let (status, done) = match filled {
            Ok(outcome) => outcome,
            Err(reason) => (reason.status(), 0),
        };

        memory.write(abi::BULK_DONE, &done.to_le_bytes());
        // Who sees the status sees all else.
        fence(Ordering::Release);
        memory.write(abi::BULK_STATUS, &status.to_le_bytes());
        drop(memory);
        host.trace(Event::Transferred {
            descriptor,
            status,
            bytes: done,
        });
        filled.map(|_| ()).map_err(refusal)
    }

    /// Fills the pieces: the status, and how many bytes were written.
    fn fill<H: Host<Event>>(&mut self, host: &mut H, pieces: Vec<H::Memory>) -> (u32, u32) {
        let mut pieces = Pieces::new(pieces);
        let outcome = self.generator.fill(&mut pieces, |bytes| host.random(bytes));
        let done = pieces.done;
        self.counts.reads += (done / abi::REG_SIZE) as u64;
        let status = match outcome {
            Ok(()) => abi::BULK_FILLED,
            // The host has said so itself.
            Err(NoEntropy) => abi::BULK_NO_ENTROPY,
        };
        // No transfer has more than BULK_MAX_BYTES.
        (status, done as u32)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the descriptor at {:#x} ", self.descriptor)?;
        match self.reason {
            Reason::NoDescriptor => {
                f.write_str("is not in memory that the device can read and write")
            }
            Reason::Count(count) => write!(
                f,
                "has {count} segments, and can have 1 to {}",
                abi::BULK_MAX_SEGMENTS
            ),
            Reason::Reserved => f.write_str("has a reserved field that is not 0"),
            Reason::Length => write!(
                f,
                "has segments of more than {} bytes together",
                abi::BULK_MAX_BYTES
            ),
            Reason::Segment(index, reason) => {
                write!(f, "has a bad segment {index}: ")?;
                f.write_str(match reason {
                    SegmentReason::Shape => {
                        "its address or length is no multiple of 4, or it has no bytes or no end"
                    }
                    SegmentReason::Reserved => "a reserved field is not 0",
                    SegmentReason::NotMemory => "it is not in memory that the device can write to",
                })
            }
        }
    }
}
