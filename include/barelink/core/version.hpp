// The version, also parsed by CMakeLists.txt: keep the three lines as they are.
#pragma once

#define BARELINK_VERSION_MAJOR 0
#define BARELINK_VERSION_MINOR 1
#define BARELINK_VERSION_PATCH 0
