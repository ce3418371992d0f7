// Prints the capabilities of the processor; test_capability.py runs it on processors it describes.
#include <cstdio>

#include "capability.h"

int main() {
  for (dtorch::Capability each : dtorch::capabilities()) std::puts(dtorch::name(each).data());
}
