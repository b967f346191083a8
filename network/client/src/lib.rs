//! Client of the Huly network: get containers, call them, receive their events.
