// How a thread of a team waits for the others.
#pragma once

#include <cstddef>

#include "../inference/team.h"

namespace lcnet {

void wait_for(const Team::Phase& phase, size_t pieces);

}  // namespace lcnet
