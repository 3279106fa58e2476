// SPDX-License-Identifier: GPL-2.0-or-later

//! The bulk engine: writes many numbers to memory by DMA.
//!
//! A write of DOORBELL selects a page of guest memory with the transfer's descriptor. The descriptor is the transfer's
//! only state, so the device has nothing to save or to reset. The transfer is complete when the write returns. The
//! virtual CPU waits for it, and so do a reset and a migration, so a transfer is limited to what every generator can
//! produce in about a millisecond.
//!
//! All of this is the device's work ([`Host::run_alone`]). A generator that can be placed anywhere gives a copy to the
//! transfer and goes on behind it at once, so the filling runs beside other transfers ([`Work::run_beside`]).

use core::fmt;
use core::sync::atomic::{Ordering, fence};

use qemu_pci::{Host, Mapping, Outside, ReadMemory, Work, WriteMemory};

use super::count::Count;
use super::{MyRng, MyRngError, MyRngEvent};
use crate::abi;
use crate::generator::{Generator, NoEntropy, Sink};

#[cfg(test)]
mod tests;

/// The most pieces in which the segments of a transfer can be mapped. RAM has a few large pieces; an IOMMU may cut it
/// at every page, and segments may start and end within pages.
const MAX_PIECES: usize = 2 * abi::BULK_MAX_SEGMENTS + abi::BULK_MAX_BYTES / 4096;

/// Why a transfer is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferError {
    descriptor: u64,
    problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    /// The descriptor itself is not in memory.
    NoDescriptor,
    /// It has no segments, or too many.
    Count(u32),
    /// A field that has to be 0 is not.
    Reserved,
    /// The segments are too long, taken together.
    Length,
    /// In the segment of this number, a field that has to be 0 is not.
    SegmentReserved(usize),
    /// The segment has no bytes, or its address or length is no multiple of 4, or it goes beyond the last address.
    SegmentShape(usize),
    /// The segment is not in memory.
    SegmentNotMemory(usize),
}

impl Problem {
    /// The status to write into the descriptor.
    fn status(self) -> u32 {
        match self {
            Self::SegmentNotMemory(_) => abi::BULK_BAD_MEMORY,
            _ => abi::BULK_BAD_DESCRIPTOR,
        }
    }
}

/// A part of guest memory to fill.
#[derive(Clone, Copy, Debug)]
struct Segment {
    address: u64,
    length: usize,
}

/// The part of a descriptor before its second segment.
const HEAD: usize = abi::BULK_SEGMENTS + abi::BULK_SEGMENT_SIZE;

/// A copy of the used part of a descriptor: the guest may change the memory at any time, so it is read once. The rest
/// is not read, which would take as long as a small transfer.
struct Descriptor(Vec<u8>);

impl Descriptor {
    fn read(page: &impl ReadMemory) -> Self {
        let mut copy = Self(vec![0; HEAD]);
        page.read(0, &mut copy.0);
        let count = copy.u32(abi::BULK_COUNT) as usize;
        if (2..=abi::BULK_MAX_SEGMENTS).contains(&count) {
            copy.0
                .resize(HEAD + (count - 1) * abi::BULK_SEGMENT_SIZE, 0);
            page.read(HEAD, copy.0.get_mut(HEAD..).unwrap_or_default());
        }
        copy
    }

    fn number<const N: usize>(&self, at: usize) -> [u8; N] {
        // All offsets are in the used part.
        let bytes = self.0.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.copied().unwrap_or([0; N])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.number(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.number(at))
    }

    /// The segments, if all are valid.
    fn segments(&self) -> Result<Vec<Segment>, Problem> {
        let count = self.u32(abi::BULK_COUNT);
        let number = count as usize;
        if !(1..=abi::BULK_MAX_SEGMENTS).contains(&number) {
            return Err(Problem::Count(count));
        }
        if self.u32(abi::BULK_DONE + 4) != 0 {
            return Err(Problem::Reserved);
        }
        let mut segments = Vec::with_capacity(number);
        let mut total = 0_usize;
        for index in 0..number {
            let segment = self.segment(index)?;
            total = total.saturating_add(segment.length);
            segments.push(segment);
        }
        if total > abi::BULK_MAX_BYTES {
            return Err(Problem::Length);
        }
        Ok(segments)
    }

    fn segment(&self, index: usize) -> Result<Segment, Problem> {
        let at = abi::BULK_SEGMENTS + index * abi::BULK_SEGMENT_SIZE;
        let (address, length) = (self.u64(at), self.u32(at + 8));
        if self.u32(at + 12) != 0 {
            return Err(Problem::SegmentReserved(index));
        }
        let is_whole = address % 4 == 0 && length % 4 == 0 && length > 0;
        if !is_whole || address.checked_add(u64::from(length) - 1).is_none() {
            return Err(Problem::SegmentShape(index));
        }
        let length = length as usize;
        Ok(Segment { address, length })
    }
}

/// Maps all segments, in their order.
fn map<O: Outside<MyRng>>(
    outside: &mut O,
    segments: &[Segment],
) -> Result<Vec<O::Writable>, Problem> {
    let mut pieces = Vec::with_capacity(segments.len());
    for (index, segment) in segments.iter().enumerate() {
        let Segment {
            mut address,
            mut length,
        } = *segment;
        while length > 0 {
            let room = pieces.len() < MAX_PIECES;
            let piece = room
                .then(|| outside.map_write(address, length))
                .flatten()
                // A word must not lie in two pieces.
                .filter(|piece| piece.size() % abi::REG_SIZE == 0)
                .ok_or(Problem::SegmentNotMemory(index))?;
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

impl<M: WriteMemory> Pieces<M> {
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

impl<M: WriteMemory> Sink for Pieces<M> {
    fn room(&self) -> usize {
        let length = self.current.as_ref().map_or(0, Mapping::size);
        length.saturating_sub(self.at)
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(piece) = &mut self.current {
            piece.write(self.at, bytes);
            self.advance(bytes.len());
        }
    }

    // Inlined for the same reason as the glue's `write_u64s`.
    #[inline(always)]
    fn write_u64s(&mut self, count: usize, next: impl FnMut() -> u64) {
        if let Some(piece) = &mut self.current {
            piece.write_u64s(self.at, count, next);
            self.advance(count * size_of::<u64>());
        }
    }
}

/// A transfer whose memory is mapped.
struct Transfer<O: Outside<MyRng>> {
    /// The descriptor's address, and the page.
    descriptor: u64,
    page: O::Shared,
    pieces: Pieces<O::Writable>,
    /// Counts the numbers.
    numbers: Count,
}

impl<O: Outside<MyRng>> Transfer<O> {
    /// Fills the pieces with the generator's next words, and ends.
    fn run(mut self, generator: &mut Generator, outside: &mut O) {
        let filled = generator.fill(&mut self.pieces, |bytes| outside.random(bytes));
        let status = match filled {
            Ok(()) => abi::BULK_FILLED,
            // The host has reported it.
            Err(NoEntropy) => abi::BULK_NO_ENTROPY,
        };
        self.end(status, outside);
    }

    /// Writes the status. Everything else that others can see has happened by then, or happens here; only the
    /// descriptor's page is still mapped.
    fn end(mut self, status: u32, outside: &mut O) {
        // No transfer has more than BULK_MAX_BYTES.
        let bytes = self.pieces.done as u32;
        drop(self.pieces);
        self.numbers.add(u64::from(bytes) / abi::REG_SIZE as u64);
        self.page.write(abi::BULK_DONE, &bytes.to_le_bytes());
        // A guest that sees the status sees all other bytes.
        fence(Ordering::Release);
        self.page.write(abi::BULK_STATUS, &status.to_le_bytes());
        outside.trace(MyRngEvent::transfer(self.descriptor, status, bytes));
    }
}

impl MyRng {
    /// Carries out the transfer whose descriptor is at this address.
    fn transfer<W: Work<Self>>(
        &mut self,
        outside: &mut W,
        descriptor: u64,
    ) -> Result<(), TransferError> {
        let error = |problem| TransferError {
            descriptor,
            problem,
        };
        // Mapped until the status is written: writing it cannot fail once the segments are filled.
        let page = outside
            .map_shared(descriptor, abi::BULK_PAGE)
            .filter(|page| page.size() == abi::BULK_PAGE)
            .ok_or(error(Problem::NoDescriptor))?;
        let segments = Descriptor::read(&page).segments();
        let mapped = segments.and_then(|segments| map(outside, &segments));
        let problem = mapped.as_ref().err().copied();
        let pieces = mapped.unwrap_or_default();
        let length: usize = pieces.iter().map(Mapping::size).sum();
        let transfer = Transfer::<W> {
            descriptor,
            page,
            pieces: Pieces::new(pieces),
            numbers: self.transferred.share(),
        };
        if let Some(problem) = problem {
            transfer.end(problem.status(), outside);
            return Err(error(problem));
        }
        if let Some(mut claimed) = self.generator.claim((length / abi::REG_SIZE) as u64) {
            outside.run_beside(move |outside| transfer.run(&mut claimed, outside));
        } else {
            transfer.run(&mut self.generator, outside);
        }
        Ok(())
    }

    /// For a write of DOORBELL with this page.
    pub(super) fn ring(&mut self, host: &mut impl Host<Self>, page: u32) {
        let descriptor = u64::from(page) * abi::BULK_PAGE as u64;
        host.run_alone(move |device, outside| {
            let done = device.transfer(outside, descriptor);
            done.map_err(MyRngError::Transfer)
        });
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the descriptor at {:#x} ", self.descriptor)?;
        let (index, what) = match self.problem {
            Problem::NoDescriptor => {
                return f.write_str("is not in memory that the device can read and write");
            }
            Problem::Count(count) => {
                let most = abi::BULK_MAX_SEGMENTS;
                return write!(f, "has {count} segments, and can have 1 to {most}");
            }
            Problem::Reserved => return f.write_str("has a reserved field that is not 0"),
            Problem::Length => {
                let most = abi::BULK_MAX_BYTES;
                return write!(f, "has segments of more than {most} bytes together");
            }
            Problem::SegmentReserved(index) => (index, "a reserved field is not 0"),
            Problem::SegmentShape(index) => (
                index,
                "its address or length is no multiple of 4, or it has no bytes or no end",
            ),
            Problem::SegmentNotMemory(index) => {
                (index, "it is not in memory that the device can write to")
            }
        };
        write!(f, "has a bad segment {index}: {what}")
    }
}
