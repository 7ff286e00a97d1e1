# Plays Zephyr for one module: -DMODULE=the directory of its CMakeLists.txt -DCONFIG_...=y
# -DOUT=file. Writes the include directories that it adds, one a line.
file(WRITE "${OUT}" "")
function(zephyr_include_directories)
    foreach(directory IN LISTS ARGN)
        if(NOT IS_DIRECTORY "${directory}")
            message(FATAL_ERROR "no directory: ${directory}")
        endif()
        file(APPEND "${OUT}" "${directory}\n")
    endforeach()
endfunction()
include("${MODULE}/CMakeLists.txt")
