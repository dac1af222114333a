// Package doctor tries everything a config names, once and from here: logins and
// rights on the servers, the arithmetic of their slots, clocks, certificates,
// files and their modes, ports, the data folder, alarm channels. Each finding
// says what was seen and how to mend what is wrong.
//
// It takes plain values (node makes them of a config), changes nothing but a
// file in the data folder that it removes again, opens one connection to a
// server at a time, and every look has a limit of its own. It does not check the
// config file as such: `spillway check` does.
package doctor
