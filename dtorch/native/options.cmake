# How everything in C++ is compiled: the module, and the checks of tests/native.
option(DTORCH_WARNINGS_AS_ERRORS "Fail on compiler warnings (CI and development)" OFF)
option(DTORCH_SANITIZE "Address and undefined-behaviour sanitizers, unoptimised" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")

add_library(dtorch_options INTERFACE)
target_include_directories(dtorch_options INTERFACE "${CMAKE_CURRENT_LIST_DIR}")
target_compile_options(dtorch_options INTERFACE
  -Wall -Wextra -Wshadow
  $<$<BOOL:${DTORCH_WARNINGS_AS_ERRORS}>:-Werror>
)
if(DTORCH_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined
                      -fno-omit-frame-pointer -g -O1)
  add_link_options(-fsanitize=address,undefined)
endif()
