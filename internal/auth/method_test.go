package auth

import "testing"

func TestDecide(t *testing.T) {
	const plain, md5, scram, none = KindPlain, KindMD5, KindSCRAM, KindNone
	for _, c := range []struct {
		name string
		in   Situation
		want Offer // Reason: any text where not empty
	}{
		{"zero value", Situation{}, Offer{Reason: "x"}},
		{"reject", Situation{Method: MethodReject, Secret: plain}, Offer{Reason: "x"}},
		{"beyond all methods", Situation{Method: 99, Secret: plain}, Offer{Reason: "x"}},
		{"trust", Situation{Method: MethodTrust}, Offer{Exchange: ExchangeNone}},
		{"cert", Situation{Method: MethodCert, TLS: true}, Offer{Exchange: ExchangeCert}},
		{"cert without TLS", Situation{Method: MethodCert}, Offer{Reason: "x"}},
		{"peer", Situation{Method: MethodPeer, Local: true}, Offer{Exchange: ExchangePeer}},
		{"peer over TCP", Situation{Method: MethodPeer, TLS: true}, Offer{Reason: "x"}},
		{"password, plain", Situation{Method: MethodPassword, Secret: plain}, Offer{Exchange: ExchangePassword, Kind: plain}},
		{"password, md5", Situation{Method: MethodPassword, Secret: md5}, Offer{Exchange: ExchangePassword, Kind: md5}},
		{"password, scram", Situation{Method: MethodPassword, Secret: scram}, Offer{Exchange: ExchangePassword, Kind: scram}},
		{"password, none", Situation{Method: MethodPassword}, Offer{Exchange: ExchangePassword, Kind: scram, Mock: true, Reason: "x"}},
		{"password, none like plain", Situation{Method: MethodPassword, Absent: plain}, Offer{Exchange: ExchangePassword, Kind: plain, Mock: true, Reason: "x"}},
		{"md5, plain", Situation{Method: MethodMD5, Secret: plain}, Offer{Exchange: ExchangeMD5, Kind: plain}},
		{"md5, md5", Situation{Method: MethodMD5, Secret: md5}, Offer{Exchange: ExchangeMD5, Kind: md5}},
		{"md5, scram", Situation{Method: MethodMD5, Secret: scram}, Offer{Exchange: ExchangeSCRAM, Kind: scram}},
		{"md5, none", Situation{Method: MethodMD5}, Offer{Exchange: ExchangeSCRAM, Kind: scram, Mock: true, Reason: "x"}},
		{"md5, none like md5", Situation{Method: MethodMD5, Absent: md5}, Offer{Exchange: ExchangeMD5, Kind: md5, Mock: true, Reason: "x"}},
		{"scram, scram", Situation{Method: MethodSCRAM, Secret: scram}, Offer{Exchange: ExchangeSCRAM, Kind: scram}},
		{"scram, plain", Situation{Method: MethodSCRAM, Secret: plain}, Offer{Exchange: ExchangeSCRAM, Kind: plain, Derive: true}},
		{"scram, md5", Situation{Method: MethodSCRAM, Secret: md5}, Offer{Exchange: ExchangeSCRAM, Kind: scram, Mock: true, Reason: "x"}},
		{"scram, none", Situation{Method: MethodSCRAM, Secret: none}, Offer{Exchange: ExchangeSCRAM, Kind: scram, Mock: true, Reason: "x"}},
		{"scram, none like plain", Situation{Method: MethodSCRAM, Absent: plain}, Offer{Exchange: ExchangeSCRAM, Kind: scram, Mock: true, Reason: "x"}},
		{"scram, none like md5", Situation{Method: MethodSCRAM, Absent: md5}, Offer{Exchange: ExchangeSCRAM, Kind: scram, Mock: true, Reason: "x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Decide(c.in)
			if (got.Reason != "") != (c.want.Reason != "") {
				t.Errorf("reason %q", got.Reason)
			}
			got.Reason, c.want.Reason = "", ""
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestMethodNames(t *testing.T) {
	for m := MethodReject; m <= MethodPeer; m++ {
		if got, err := ParseMethod(m.String()); err != nil || got != m {
			t.Errorf("%v: %v, %v", m, got, err)
		}
	}
	if m, err := ParseMethod("plain"); err != nil || m != MethodPassword {
		t.Error("plain is not known")
	}
	for _, bad := range []string{"", "ident", "ldap", "TRUST"} {
		if m, err := ParseMethod(bad); err == nil || m != MethodReject {
			t.Errorf("%q: %v, %v", bad, m, err)
		}
	}
	if Method(200).String() != "reject" {
		t.Error("an unknown method has another name than reject")
	}
}

func TestParseBinding(t *testing.T) {
	for in, want := range map[string]Binding{"": BindingPrefer, "prefer": BindingPrefer, "disable": BindingDisable, "require": BindingRequire} {
		if got, err := ParseBinding(in); err != nil || got != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	if got, err := ParseBinding("Require"); err == nil || got != BindingRequire {
		t.Error("an unknown value is not refused, or weaker than require")
	}
}
