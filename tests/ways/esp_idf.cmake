# Plays ESP-IDF for one component: -DCOMPONENT=its directory -DOUT=file. Writes the include
# directories that it registers, one a line; fails for what is no argument of ESP-IDF's function.
file(WRITE "${OUT}" "")
function(idf_component_register)
    cmake_parse_arguments(
        c "" "KCONFIG;KCONFIG_PROJBUILD"
        "SRCS;SRC_DIRS;EXCLUDE_SRCS;INCLUDE_DIRS;PRIV_INCLUDE_DIRS;REQUIRES;PRIV_REQUIRES"
        ${ARGN})
    if(c_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "unknown: ${c_UNPARSED_ARGUMENTS}")
    endif()
    foreach(directory IN LISTS c_INCLUDE_DIRS)
        get_filename_component(directory "${directory}" ABSOLUTE BASE_DIR "${COMPONENT}")
        if(NOT IS_DIRECTORY "${directory}")
            message(FATAL_ERROR "no directory: ${directory}")
        endif()
        file(APPEND "${OUT}" "${directory}\n")
    endforeach()
endfunction()
include("${COMPONENT}/CMakeLists.txt")
