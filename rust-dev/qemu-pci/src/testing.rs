// SPDX-License-Identifier: GPL-2.0-or-later

//! A machine for unit tests of devices. It does what QEMU would do, without QEMU, and is stricter about mistakes.

mod memory;
mod options;
mod schedule;
mod trace;
mod wire;

use crate::access::Access;
use crate::device::{self, Interrupts, MAX_TIMERS, NOT_RUNNING, PciDevice};
use crate::host::{Host, Outside, Work};
use crate::register::GuestError;

pub use memory::{Mapped, Memory, Page};
pub use options::parse;
use schedule::Schedule;
pub use trace::check_trace_events;
pub use wire::{read as read_state, write as write_state};

/// How the guest has set up interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// By the pin.
    #[default]
    Pin,
    /// As messages: MSI or MSI-X.
    Messages,
}

/// A machine with one device in it.
#[derive(Clone, Debug)]
pub struct Machine<D: PciDevice> {
    /// The device.
    pub device: D,
    /// What is around it.
    pub world: World<D>,
}

/// What is around a device.
#[derive(Clone, Debug)]
pub struct World<D: PciDevice> {
    /// The guest's memory.
    pub memory: Memory,
    /// The virtual time, in nanoseconds.
    pub now: u64,
    /// The level of the interrupt pin.
    pub pin: bool,
    /// The vectors of the messages that were sent.
    pub messages: Vec<u16>,
    /// How interrupts are delivered.
    pub delivery: Delivery,
    /// Which requests for entropy succeed: bit n for the n-th, modulo 64. [`entropy`] gives the bytes.
    pub entropy: u64,
    /// How many requests for entropy there were.
    pub asked: u32,
    /// How often timers have run.
    pub timer_runs: u64,
    /// The events that were traced.
    pub events: Vec<D::Event>,
    /// What the guest did wrong.
    pub errors: Vec<String>,
    /// If true, work beside the device waits until the test lets it run: [`Machine::run_work`].
    pub holds_work: bool,
    work: Schedule<D>,
    interrupts: Interrupts,
    deadlines: [u64; MAX_TIMERS],
    /// The vectors to send, one bit each.
    raised: u64,
    level: Option<bool>,
}

/// The bytes that the n-th request for entropy gets: a different word at each place.
pub fn entropy(n: u32, bytes: &mut [u8]) {
    let first = (n ^ 0x5555_5555).wrapping_mul(0x9e37_79b9);
    for (i, word) in (0..).zip(bytes.chunks_mut(4)) {
        let value = first
            .wrapping_add(0x0101_0101_u32.wrapping_mul(i))
            .to_le_bytes();
        for (place, byte) in word.iter_mut().zip(value) {
            *place = byte;
        }
    }
}

impl<D: PciDevice> Machine<D> {
    /// A machine with a device with these properties, without memory and entropy.
    ///
    /// # Errors
    ///
    /// The device's, if it refuses the properties.
    pub fn new(properties: D::Properties) -> Result<Self, String> {
        const { device::check::<D>() };
        let device = D::new(properties)?;
        let interrupts = device.interrupts();
        assert!(
            interrupts.is_within(&D::INTERRUPTS),
            "no device of this type has {interrupts:?}"
        );
        Ok(Self {
            device,
            world: World {
                memory: Memory::default(),
                now: 0,
                pin: false,
                messages: Vec::new(),
                delivery: Delivery::Pin,
                entropy: 0,
                asked: 0,
                timer_runs: 0,
                events: Vec::new(),
                errors: Vec::new(),
                holds_work: false,
                work: Schedule::default(),
                interrupts,
                deadlines: [NOT_RUNNING; MAX_TIMERS],
                raised: 0,
                level: None,
            },
        })
    }

    /// A machine with a device with properties as the user writes them: `count=1,speed=fast`.
    ///
    /// # Errors
    ///
    /// For an unknown property or an invalid value, and the device's, if it refuses the properties.
    pub fn with(options: &str) -> Result<Self, String> {
        Self::new(parse(options)?)
    }

    /// The guest reads 1, 2, 4 or 8 bytes of a BAR.
    pub fn read(&mut self, bar: u8, offset: u64, size: u32) -> u64 {
        let mut value = 0;
        for (access, shift) in device::pieces::<D>(Access { bar, offset, size }) {
            let piece = device::read(&mut self.device, &mut self.world, access);
            self.work();
            let piece = self.world.after(access, piece);
            value |= piece.unwrap_or_else(|| device::refused::<D>(access)) << shift;
        }
        value
    }

    /// The guest writes 1, 2, 4 or 8 bytes of a BAR.
    pub fn write(&mut self, bar: u8, offset: u64, size: u32, value: u64) {
        for (access, shift) in device::pieces::<D>(Access { bar, offset, size }) {
            let result = device::write(&mut self.device, &mut self.world, access, value >> shift);
            self.work();
            self.world.after(access, result);
        }
    }

    /// The guest errors since the last call.
    pub fn errors(&mut self) -> Vec<String> {
        core::mem::take(&mut self.world.errors)
    }

    /// The events that were traced since the last call.
    pub fn events(&mut self) -> Vec<D::Event> {
        core::mem::take(&mut self.world.events)
    }

    /// Lets so many nanoseconds pass. Timers run when they are due.
    pub fn advance(&mut self, nanoseconds: u64) {
        let end = self.world.now + nanoseconds;
        while let Some((timer, deadline)) = self.world.next_timer().filter(|it| it.1 <= end) {
            self.world.now = self.world.now.max(deadline);
            self.world.stop_timer(timer);
            self.world.timer_runs += 1;
            let result = self.device.timer(&mut self.world, timer);
            self.work();
            self.world
                .note(|error| format!("timer {timer}: {error}"), result);
        }
        self.world.now = end;
    }

    /// How long it is until the next timer is due, in nanoseconds.
    #[must_use]
    pub fn next_timer(&self) -> Option<u64> {
        let (_, deadline) = self.world.next_timer()?;
        Some(deadline.saturating_sub(self.world.now))
    }

    /// Resets the device.
    pub fn reset(&mut self) {
        self.check_that_no_work_is_held();
        self.world.deadlines = [NOT_RUNNING; MAX_TIMERS];
        self.world.pin = false;
        self.device.reset();
        self.device.reset_exit(&mut self.world);
        self.work();
        self.world.deliver();
    }

    /// The device's state, as VMState's bytes: the fields one after the other, then the timers.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        self.check_that_no_work_is_held();
        let mut bytes = write_state(self.device.save());
        for deadline in self.world.deadlines.iter().take(D::TIMERS) {
            bytes.extend(deadline.to_be_bytes());
        }
        bytes
    }

    /// Loads a state that a device of this version has saved.
    ///
    /// # Errors
    ///
    /// When the bytes are not a state of this device, or the device refuses it. Nothing has changed then.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.load_version(<D::State as crate::state::StateFields>::VERSION, bytes)
    }

    /// Loads a state that a device of another version has saved.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    pub fn load_version(&mut self, version: u8, bytes: &[u8]) -> Result<(), String> {
        self.check_that_no_work_is_held();
        let (state, rest) = read_state::<D::State>(version, bytes)?;
        let mut deadlines = [NOT_RUNNING; MAX_TIMERS];
        if rest.len() != D::TIMERS * 8 {
            return Err("it is not as long as its fields".to_owned());
        }
        for (place, bytes) in deadlines.iter_mut().zip(rest.chunks_exact(8)) {
            *place = bytes
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte));
        }
        let given = deadlines.get(..D::TIMERS).unwrap_or_default();
        device::check_deadlines::<D>(&state, self.world.now, given)?;
        self.device.load(&state)?;
        self.world.deadlines = deadlines;
        Ok(())
    }
}

impl<D: PciDevice> World<D> {
    /// Ends an access: delivers interrupts, and keeps its error.
    fn after<T>(&mut self, access: Access, result: Result<T, GuestError<D::Error>>) -> Option<T> {
        let Access { offset, size, .. } = access;
        self.note(
            |error| format!("{size} bytes at {offset:#x}: {error}"),
            result,
        )
    }

    fn note<T>(
        &mut self,
        text: impl FnOnce(GuestError<D::Error>) -> String,
        result: Result<T, GuestError<D::Error>>,
    ) -> Option<T> {
        self.deliver();
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(text(error));
                None
            }
        }
    }

    fn deliver(&mut self) {
        let is_pin = self.delivery == Delivery::Pin && self.interrupts.pin;
        self.pin = self.level.take().unwrap_or(self.pin) && is_pin;
        let raised = core::mem::take(&mut self.raised);
        if self.delivery == Delivery::Messages {
            let vectors = (0..64).filter(|vector| raised >> vector & 1 == 1);
            self.messages.extend(vectors);
        }
    }

    fn next_timer(&self) -> Option<(usize, u64)> {
        let running = self.deadlines.iter().copied().enumerate();
        running
            .filter(|it| it.1 != NOT_RUNNING)
            .min_by_key(|it| it.1)
    }
}

impl<D: PciDevice> Host<D> for World<D> {
    type Readable = Mapped;
    type Work = Self;

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        self.memory.copy_from(address, bytes)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> bool {
        self.memory.copy_to(address, bytes)
    }

    fn map_read(&mut self, address: u64, length: usize) -> Option<Mapped> {
        self.memory.map(address, length, Page::is_readable)
    }

    fn interrupt(&mut self, vector: u16) {
        assert!(
            vector < D::INTERRUPTS.vectors(),
            "there is no vector {vector}"
        );
        self.raised |= 1 << vector;
        self.level = Some(true);
    }

    fn lower(&mut self) {
        self.level = Some(false);
    }

    fn now(&mut self) -> u64 {
        self.now
    }

    fn start_timer(&mut self, timer: usize, delay: u64) {
        assert!(timer < D::TIMERS, "there is no timer {timer}");
        if let Some(deadline) = self.deadlines.get_mut(timer) {
            *deadline = self.now + device::delay::<D>(delay);
        }
    }

    fn stop_timer(&mut self, timer: usize) {
        assert!(timer < D::TIMERS, "there is no timer {timer}");
        if let Some(deadline) = self.deadlines.get_mut(timer) {
            *deadline = NOT_RUNNING;
        }
    }

    fn run_alone(
        &mut self,
        work: impl FnOnce(&mut D, &mut Self) -> Result<(), D::Error> + 'static,
    ) {
        let before = self.work.alone.replace(Box::new(work));
        assert!(before.is_none(), "a call gives one piece of work");
    }
}

impl<D: PciDevice> Work<D> for World<D> {
    fn run_beside(&mut self, rest: impl FnOnce(&mut Self) + 'static) {
        self.work.beside.push_back(Box::new(rest));
    }
}

impl<D: PciDevice> Outside<D> for World<D> {
    type Writable = Mapped;
    type Shared = Mapped;

    fn random(&mut self, bytes: &mut [u8]) -> bool {
        let answered = self.entropy >> (self.asked % 64) & 1 == 1;
        if answered {
            entropy(self.asked, bytes);
        } else {
            // A device must not use what it was not given.
            bytes.fill(0xee);
        }
        self.asked += 1;
        answered
    }

    fn trace(&mut self, event: D::Event) {
        self.events.push(event);
    }

    fn map_write(&mut self, address: u64, length: usize) -> Option<Mapped> {
        self.memory.map(address, length, Page::is_writable)
    }

    fn map_shared(&mut self, address: u64, length: usize) -> Option<Mapped> {
        let may = |page: Page| page.is_readable() && page.is_writable();
        self.memory.map(address, length, may)
    }
}
