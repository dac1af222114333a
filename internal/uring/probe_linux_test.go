package uring

import "testing"

func TestProbe(t *testing.T) {
	before := openDescriptors(t)
	f, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	if f.Kernel == "" || f.Bits&featExtArg == 0 {
		t.Fatalf("features %+v", f)
	}
	t.Log(f)
	if after := openDescriptors(t); after != before {
		t.Fatalf("%d descriptors open before, %d after", before, after)
	}
}
